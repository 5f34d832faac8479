"""Looking inside a network: why a pixel got its label, what if a class were unknown, where doubt is.

Worker side. `look` and `snapshot` hold what later questions need; the other rooms answer them.
"""
