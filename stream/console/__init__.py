"""The console: pages for account managers, in the process that serves the API."""
