"""Placeholder until the session is written (owner: worker)."""


class Session:
    def __init__(self, ctx, project_id, actor) -> None: ...
