"""The reviewer's view and the effect of a decision: the listing's join, the plan, the pages, the browser's safeguards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from fastapi import HTTPException, Request
from fastapi.testclient import TestClient
from msgspec.structs import replace

from ingest.ledger.records import DecisionRecord, DriveRecord, RefusedRecord
from ingest.ledger.states import DriveState
from lake.errors import OverrideError
from lake.landing import DriveId
from lake.overrides import Override, Verdict
from lake.tables.rows import RecordFields, RecordRow
from ops.review import decisions, listing, page
from ops.review.evidence import Gauge, Picture, RecordEvidence
from ops.review.listing import Decision, Filter, RecordPage, ReviewRecord
from ops.review.web import MAX_FORM_BYTES, review_app
from quality.decisions import overrides_for, why_not_releasable
from quality.rules.findings import finding
from tests.unit.ops.review.review_rows import BASE, NotingDesk, frame, scene, whole_drive, whole_object

D1, D2 = DriveId("car-1", "d-1"), DriveId("car-1", "d-2")
KEY = "k" * 32


class Decisions:
    """The ledger's side of a listing."""

    def __init__(
        self, overrides: Sequence[Override] = (), state: DriveState = DriveState.PUBLISHED, revision: str = BASE
    ) -> None:
        texts = [frozenset({override.to_string()}) for override in overrides]
        self.log = [DecisionRecord(D1, number, text, 70 + number, BASE, 1) for number, text in enumerate(texts, 1)]
        self.record = DriveRecord(D1, state, revision)

    def drive(self, drive: DriveId) -> DriveRecord | None:
        return self.record if drive == D1 else None

    def decisions(self, drive: DriveId) -> list[DecisionRecord]:
        return [one for one in self.log if one.drive == drive]

    def refused(self, after: str = "") -> tuple[()]:
        return ()

    def refused_versions(self, key: str) -> list[RefusedRecord]:
        return []


def join(monkeypatch: pytest.MonkeyPatch, rows: list[ReviewRecord], ledger: Decisions) -> list[ReviewRecord]:
    found = tuple(RecordRow(**{name: getattr(row, name) for name in RecordFields.__struct_fields__}) for row in rows)
    monkeypatch.setattr("ops.audit.lake_reader.records", lambda catalog, drive=None: found)
    return listing.RecordList(None, ledger).of_drive(D1)  # type: ignore[arg-type]


def decide(verdict: Verdict, *rows: ReviewRecord) -> list[Override]:
    return overrides_for(rows, verdict, "alice", "seen it")


def test_a_rejection_shows_at_once_and_a_release_until_its_drive_is_through(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = scene(1), scene(2), scene(3)
    overrides = [*decide(Verdict.REJECT, one), *decide(Verdict.RELEASE, two)]
    found = join(monkeypatch, [one, two, three], Decisions(overrides, DriveState.QUEUED, "e" * 64))
    assert [row.status for row in found] == ["rejected", "releasing", "quarantined"]
    assert found[0].decision == Decision(
        verdict=Verdict.REJECT, reviewer="alice", reason="seen it", rules=("SYN001",), decided_ns=71
    )
    through = join(monkeypatch, [replace(two, status="released")], Decisions(overrides))
    assert through[0].status == "released"
    kept = join(monkeypatch, [two], Decisions(overrides))
    assert kept[0].status == "quarantined", "the drive is through, and another rule keeps it out"


def test_a_decision_about_other_data_says_nothing_of_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    (old,) = decide(Verdict.REJECT, replace(scene(1), input="0" * 64))
    assert [row.status for row in join(monkeypatch, [scene(1)], Decisions([old]))] == ["quarantined"]
    older = replace(scene(1), input=None)
    assert join(monkeypatch, [older], Decisions(decide(Verdict.REJECT, scene(1))))[0].status == "rejected", "an older table"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (frame("DEC005"), "does not decode"),
        (whole_object("DEC003"), "nothing to admit"),
        (whole_object("CMP001"), "nothing to admit"),
        (whole_drive("CLK003", "CMP002"), "manifest"),
        (whole_drive("CAL001"), "calibration"),
        (whole_drive("ACC001"), "a defect of the pipeline"),
        (scene(1, finding("SYN001", "lidar_top: LID001", sensor="lidar_top", measured=1)), "anchor"),
        (frame("LID001", "lidar_top"), None),
        (whole_object("DEC001"), None),
        (whole_object("DEC002"), None),
        (whole_drive("CMP003"), None),
        (scene(1), None),
    ],
)
def test_what_can_be_released(row: ReviewRecord, why: str | None) -> None:
    problem = why_not_releasable(row)
    assert problem is None if why is None else why in (problem or "")


def test_filters() -> None:
    rows = [scene(1), frame("LID001", "lidar_top"), whole_drive("CLK003"), whole_object()]

    def taken(**chosen: str) -> list[int]:
        return [place for place, row in enumerate(rows) if Filter(**chosen).takes(row)]

    assert taken() == [0, 1, 2, 3]
    assert taken(level="object") == [1, 3]
    assert taken(drive="car-1/d-2") == taken(rule="CLK003") == [2]
    assert taken(sensor="lidar_top") == [0, 1]
    assert taken(sensor="camera_front") == [0], "a scene is about the sensors that its findings name"
    assert taken(vehicle="car-9") == taken(status="released") == []


def test_a_plan_sorts_out_and_each_drive_stands_for_itself() -> None:
    decided = replace(scene(4), decision=Decision(verdict=Verdict.REJECT, reviewer="bob", reason="no", rules=(), decided_ns=1))
    rows = [scene(1), scene(2), frame("LID001", "lidar_top"), frame("DEC005"), whole_drive("CLK003"), decided]
    wanted = decisions.plan(rows, Verdict.RELEASE)
    assert {str(drive): len(found) for drive, found in wanted.drives.items()} == {"car-1/d-1": 3, "car-1/d-2": 1}
    assert [why.split(" by")[0].split(":")[0] for _, why in wanted.refused] == ["DEC005", "already rejected"]
    desk = NotingDesk("car-1/d-2")
    results = decisions.carry_out(desk, wanted, "alice", "dust on the lens")
    assert [(result.drive, result.generation, bool(result.problem)) for result in results] == [
        ("car-1/d-1", 2, False),
        ("car-1/d-2", None, True),
    ]
    ((verdict, drive, revision, overrides),) = desk.taken
    assert (verdict, drive, revision) == (Verdict.RELEASE, "car-1/d-1", BASE)
    assert {(one.targets, one.rules) for one in overrides} == {
        (("scene:1", "scene:2"), ("SYN001",)),
        (("frame:lidar_top:7",), ("LID001",)),
    }
    assert {(one.reviewer, one.reason, one.input) for one in overrides} == {("alice", "dust on the lens", BASE)}


@pytest.mark.parametrize(
    ("who", "why"), [("", "good reason"), ("a b", "good reason"), ("al", ""), ("al", "x\ny"), ("al", "x" * 501)]
)
def test_nothing_is_done_without_who_and_why(who: str, why: str) -> None:
    desk = NotingDesk()
    with pytest.raises(OverrideError):
        decisions.carry_out(desk, decisions.plan([scene(1)], Verdict.REJECT), who, why)
    assert desk.taken == []


EVIDENCE = RecordEvidence(
    gauges=(Gauge("LID001", "sentence", "share", "error", 0.8, 0.5, "<img src=x>", (0.7, 0.9)),),
    frame=(Picture("as it was recorded", b"\xff\xd8\xff<script>"),),
    neighbours=(Picture("cam 1 ms before", None, note="none"), Picture("cam 1 ms after", b"x")),
    scene=None,
    around=(),
    notes=("a <i>note</i>",),
)


def test_a_record_page_refers_to_nothing_outside_and_escapes_what_it_shows() -> None:
    made = page.record_page(frame("LID001", "lidar_top"), EVIDENCE)
    assert "<b>bad</b>" not in made
    assert "&lt;img src=x&gt;" in made
    assert "<i>note" not in made
    assert "<script" not in made
    assert made.count("data:image/") == 2
    assert "<form" not in made, "a file cannot decide"
    assert not re.search(r'(?:src|href)="(?!data:)', made)
    assert re.search(r'class="over"', made)


class FakeReview:
    def __init__(self, rows: list[ReviewRecord]) -> None:
        self.listed, self.desk = rows, NotingDesk()

    @property
    def records(self) -> FakeReview:
        return self

    def page(self, chosen: Filter, after: str | None = None) -> RecordPage:
        return RecordPage(tuple(row for row in self.listed if chosen.takes(row)), "car-1/d-1/next" if after is None else None)

    def find(self, references: Iterable[str]) -> dict[str, ReviewRecord | None]:
        known = {row.reference: row for row in self.listed}
        return {reference: known.get(reference) for reference in references}

    def evidence(self, row: ReviewRecord) -> RecordEvidence:
        return EVIDENCE


def login(*allowed: str) -> Any:
    def check(request: Request) -> None:
        user = request.headers.get("x-user")
        if user is None:
            raise HTTPException(401, "Not authenticated")
        if user not in allowed:
            raise HTTPException(403, "Forbidden")
        request.state.reviewer = user

    return check


ROWS = [scene(1, finding("SYN001", "<script>alert(1)</script>", sensor="camera_front", measured=1)), frame("DEC005"), scene(2)]


@pytest.fixture
def review() -> FakeReview:
    return FakeReview(ROWS)


@pytest.fixture
def web(review: FakeReview) -> TestClient:
    app = review_app(lambda: review, login("alice", "victor"), login("alice"), KEY)  # type: ignore[arg-type, return-value]
    return TestClient(app, base_url="http://127.0.0.1:8080")


def token(web: TestClient, user: str = "alice") -> str:
    found = re.search(r'name="token" value="([0-9a-f]{64})"', web.get("/", headers={"x-user": user}).text)
    assert found is not None
    return found[1]


def form(web: TestClient, **more: Any) -> dict[str, Any]:
    return {"token": token(web), "verdict": "release", "reason": "rain", "record": [ROWS[0].reference]} | more


PATHS = (("GET", "/"), ("GET", f"/records/{ROWS[0].reference}"), ("POST", "/plan"), ("POST", "/decide"))


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_every_page_needs_a_login(web: TestClient, review: FakeReview, method: str, path: str) -> None:
    answer = web.request(method, path)
    assert answer.status_code == 401
    assert "car-1" not in answer.text
    assert review.desk.taken == []


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/records/", "/records/../plan"])
def test_there_is_nothing_else(web: TestClient, path: str) -> None:
    assert web.get(path, headers={"x-user": "alice"}).status_code in (404, 405)


def test_pages_escape_what_they_show_and_close_themselves(web: TestClient) -> None:
    for path in ("/", f"/records/{ROWS[0].reference}", "/?rule=%3Cscript%3E&status=%22%3E"):
        answer = web.get(path, headers={"x-user": "alice"})
        assert answer.status_code == 200
        assert "<script" not in answer.text
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "frame-ancestors 'self'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers


def test_a_release_is_planned_then_done_in_the_name_of_who_is_logged_in(web: TestClient, review: FakeReview) -> None:
    sent = form(web, record=[row.reference for row in ROWS], reviewer="mallory")
    planned = web.post("/plan", data=sent, headers={"x-user": "alice", "origin": "http://127.0.0.1:8080"})
    assert planned.status_code == 200
    assert "Release 2 records?" in planned.text
    assert "does not decode" in planned.text
    assert review.desk.taken == []
    done = web.post("/decide", data=sent, headers={"x-user": "alice"})
    assert "2 records released" in done.text
    ((_, drive, _, overrides),) = review.desk.taken
    assert drive == "car-1/d-1"
    assert {(one.reviewer, one.reason) for one in overrides} == {("alice", "rain")}


@pytest.mark.parametrize(
    ("change", "headers", "status"),
    [
        ({"token": "0" * 64}, {}, 403),
        ({"token": ""}, {}, 403),
        ({}, {"x-user": "victor"}, 403),
        ({}, {"origin": "http://evil.example"}, 403),
        ({}, {"origin": "http://127.0.0.1:9999"}, 403),
        ({}, {"origin": "null"}, 403),
        ({"verdict": "undo"}, {}, 400),
        ({"record": []}, {}, 400),
        ({"reason": ""}, {}, 400),
        ({"reason": "x"}, {}, 400),
        ({"record": ["f" * 64]}, {}, 404),
        ({"reason": "x" * MAX_FORM_BYTES}, {}, 413),
        ({"more": ["x"] * 3000}, {}, 400),
    ],
)
def test_a_form_that_is_not_ours_or_not_whole_does_nothing(
    web: TestClient, review: FakeReview, change: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    for path in ("/plan", "/decide"):
        answer = web.post(path, data=form(web) | change, headers={"x-user": "alice"} | headers)
        assert answer.status_code == status
    assert review.desk.taken == []


def test_an_endpoint_that_does_not_answer_is_reported(
    web: TestClient, review: FakeReview, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*given: object) -> RecordPage:
        raise OSError("AWS Error NETWORK_CONNECTION during HeadObject <operation>")

    monkeypatch.setattr(review, "page", gone)
    answer = web.get("/", headers={"x-user": "alice"})
    assert answer.status_code == 503
    assert "NETWORK_CONNECTION during HeadObject &lt;operation&gt;" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_token_is_one_users_own(web: TestClient) -> None:
    assert token(web, "alice") == token(web, "alice") != token(web, "victor")


def test_a_page_of_the_list_leads_to_the_next_and_keeps_the_filter(web: TestClient) -> None:
    first = web.get("/?status=quarantined", headers={"x-user": "alice"}).text
    (link,) = re.findall(r'href="(/\?[^"]*after=[^"]*)"', first)
    assert "status=quarantined" in link
    assert "next page" not in web.get(link.replace("&amp;", "&"), headers={"x-user": "alice"}).text


@pytest.mark.parametrize("query", ["drive=no-slash", "drive=Bad%20One/x", "drive=a/b/c"])
def test_a_filter_that_names_no_drive_is_refused(web: TestClient, query: str) -> None:
    assert web.get(f"/?{query}", headers={"x-user": "alice"}).status_code == 400
