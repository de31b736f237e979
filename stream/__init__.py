"""How it runs: the Faust app, its transport and store, topics, outputs, metrics and the command line."""
