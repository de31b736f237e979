"""A package, unlike the other folders: pytest ends what is shared by it with its last test, and Playwright must end."""
