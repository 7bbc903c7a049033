"""Deployments: pipelines that run on a schedule, on a worker or in one served process."""
