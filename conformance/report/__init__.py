"""The report of a run. One JSON document is the truth; everything else is rendered from it.

document: its shape. collect: how it comes about. terminal, junit: renderings. diff: two of them.
"""
