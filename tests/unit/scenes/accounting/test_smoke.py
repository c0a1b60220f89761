import datetime
import time

from lake.landing import DriveId
from ops.audit.run import Auditor


def test_smoke(lake):
    for n in range(5):
        lake.add(DriveId("car-1", f"d-{n}"), datetime.date(2024, 5, 1 + n % 2))
    lake.put("car-1/model.pkl")
    a = Auditor(lake.sources, lake.ledger, None, "t")
    t = time.time()
    done = a.everything()
    print(time.time() - t)
    for x in done.result.totals:
        print(x)
    for x in done.result.failures:
        print(x)
    d = a.day(datetime.date(2024, 5, 1))
    print(d.result.drives, d.result.failures)
    d = a.drive(DriveId("car-1", "d-1"))
    print(d.result.drives, d.result.failures)
    d = a.since(0, "x")
    print(d.result.drives, d.result.failures)
