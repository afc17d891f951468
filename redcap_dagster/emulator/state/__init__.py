"""What the emulator remembers: projects, users, records and files, in one SQLite file."""
