"""Renders what a run did or would do: to the terminal, to Markdown, to one HTML file."""
