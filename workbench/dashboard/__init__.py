"""Dashboards officials open in a browser: widgets for a checkup, and the server with a login that shows them."""

from workbench.dashboard.panel import checkup_dashboard

__all__ = ["checkup_dashboard"]
