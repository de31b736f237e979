"""Churn models from histories: reading, fitting and comparing.

Needs the extra `calibrate` of the distribution. The worker imports none of it.
"""
