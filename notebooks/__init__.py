"""The notebooks, what executes them, and what draws the README's picture of a recording."""
