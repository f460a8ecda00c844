"""The rows: one test function = one behaviour = one line of the matrix.

What a row can use is listed at the top of conformance/fixtures.py; how to write one is in
docs/adding-a-behaviour.md.
"""
