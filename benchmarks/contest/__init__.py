"""Who is measured by `benchmarks.export`, and how."""
