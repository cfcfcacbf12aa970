"""The state of many frames at once: todo, done or approved, as one edit."""

from __future__ import annotations

from msgspec import Struct

from app import store as db
from app.errors import Conflict
from app.models import FrameState, new_id
from app.services import history, projects
from app.services.asset_ranges import frame_range
from app.services.bulk_edits import Recorder
from app.services.context import Context
from app.services.views import EditView


class StatesResult(Struct, kw_only=True):
    """`changed`: how many frames were in another state; `edit` is None where none was. `created` is False when
    the request was a retry.
    """

    changed: int
    edit: EditView | None
    created: bool = True


def set_range(
    ctx: Context,
    asset_id: str,
    start: int,
    stop: int,
    state: FrameState,
    *,
    actor: str,
    op_id: str | None = None,
) -> StatesResult:
    """Give the frames with index start ≤ i ≤ stop a state. They stay what they were until this returns.

    Repeating the call with the same `op_id` changes nothing. Raises NotFound; Conflict for what lies in the
    trash; Refused for a range outside the asset.
    """

    def write(cur: db.Cursor) -> tuple[StatesResult, str]:
        asset = db.assets.get(cur, asset_id)
        done = db.edits.by_id(cur, op_id) if op_id else None
        if done is not None:
            return StatesResult(changed=0, edit=history.view(done), created=False), asset.project_id
        project = projects.require_live(cur, asset.project_id)
        if asset.trashed_at is not None:
            raise Conflict("The asset is in the trash. Restore it in the Library first.")
        first, last = frame_range(asset, start, stop)
        runs = [run for run in db.frames.states_within(cur, asset_id, first, last) if run.state != state]
        if not runs:
            return StatesResult(changed=0, edit=None), project.id
        projects.begin(cur, project)
        recorder = Recorder(cur, op_id or new_id())
        recorder.set_states(runs, state)
        edit = history.record(
            cur,
            project_id=project.id,
            actor=actor,
            op_id=recorder.edit_id,
            kind="set-frame-states",
            label=state,
            frame_id=None,
            changes=[],
            bulk=recorder.count,
        )
        return StatesResult(changed=sum(run.length for run in runs), edit=history.view(edit)), project.id

    result, project_id = ctx.store.write(write)
    if result.changed:
        news = {
            "id": None,
            "asset_id": asset_id,
            "start": start,
            "stop": stop,
            "state": state,
            "actor": actor,
        }
        ctx.events.publish("frame", news, project_id)
    return result
