"""Effects of two variables on each other, identified by heteroskedasticity.

The model is y1 = b12 y2 + f1(x) + e1 and y2 = b21 y1 + f2(x) + e2, where the errors have mean zero
given x, are uncorrelated given x, and have the variances exp g1(x) and exp g2(x). Following Tanaka
(2025, arXiv:2511.05050), who estimates it by quasi-maximum likelihood with kernels online.
"""
