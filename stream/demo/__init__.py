"""The demo: a broker in this process, a worker as its child, a simulated company, and a screen to watch it on."""
