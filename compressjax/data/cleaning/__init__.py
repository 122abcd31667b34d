"""Rows that are missing values, double, far out or wrongly labeled."""
