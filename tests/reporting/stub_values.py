"""Stands in for the values step: writes two hand-made rows and one case, with the same spec and record."""

import json
import os
import sys
import time
from pathlib import Path

import geopandas as gpd
import pandas as pd
from shapely.geometry import box

VALUES = pd.DataFrame(
    {
        "value_id": ["vaaaaaaaaaa", "vbbbbbbbbbb"],
        "indicator": ["TJ-A11", "TJ-A13"],
        "level": ["city", "city"],
        "zone": ["tiny", "tiny"],
        "year": [2025, 2025],
        "value": [1234.56, None],
        "unit": ["ha", "km2"],
        "decimals": [1, 2],
        "tier": ["statutory", "statutory"],
        "data_date": ["2024-12-31", None],
        "reason_zh": ["", "缺少图层"],
        "reason_en": ["", "no layer"],
    }
)
FINDINGS = gpd.GeoDataFrame(
    {"finding_id": ["f1", "f2"], "level": [3, 0], "value": [12.5, 1.0]},
    geometry=[box(0, 0, 10, 10), None],
    crs="EPSG:4547",
)


def main() -> int:
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    mode = os.environ.get("STUB_VALUES", "")
    if mode == "crash":
        raise SystemExit("the disk is full")
    if mode == "steps":
        for number in range(3):
            Path(spec["progress"]).write_text(f"indicators of 2025: {number}/3", encoding="utf-8")
            time.sleep(0.3)
    if mode == "slow":
        time.sleep(60)
    folder = Path(spec["folder"])
    VALUES.to_parquet(folder / "values.parquet")
    FINDINGS.to_parquet(folder / "findings.parquet")
    record = {"status": "ok", "error": None, "values_sha256": "1", "findings_sha256": mode, "inputs": {}}
    if "life_circle" in spec["topics"]:
        record["absent"] = {"life_circle": {"zh": "缺少2025年道路", "en": "roads of 2025 are lacking"}}
    Path(spec["record"]).write_text(json.dumps(record), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
