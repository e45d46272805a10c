"""Renderings of a board: tables, page, pictures."""
