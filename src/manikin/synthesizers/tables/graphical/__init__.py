"""A small graphical model of our own: a Markov random field over integer columns, learned from noisy tables of some of them.

It is what private-PGM does (McKenna, Sheldon & Miklau 2019, arXiv 1901.09136), in numpy. Knows neither data sets nor budgets.
"""
