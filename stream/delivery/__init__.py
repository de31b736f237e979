"""Delivery of tier changes and churn risks to HTTP destinations: CRMs, and whoever takes signed webhooks."""
