"""The chart's Grafana dashboard, drawn without Grafana: from a Prometheus that is there, or from
one that watches real servers and a real operator in a rehearsal of what happens to them.
"""
