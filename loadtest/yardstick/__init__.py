"""The load test: what requests cost, measured as processor time and as ratios within one run (see run.sh)."""
