"""One module for each family of API methods: from a call to an answer."""
