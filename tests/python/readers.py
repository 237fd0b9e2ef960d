"""Reads what a run left with the packages that people would use, and prints what each found as one line of JSON.

    python tests/python/readers.py FOLDER WHAT

FOLDER holds the results and the cache of a run. WHAT is `tensorboard`, `mlflow`, or `datasets` with the folder of texts.
Exit code 77: this Python lacks the package. tests/readers.rs calls it.
"""
import importlib.util
import json
import os
import sys

folder, what = sys.argv[1], sys.argv[2]
os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_DATASETS_CACHE=os.path.join(folder, "hf-cache"),
    # MLflow 3 reads folders of runs only where it is asked to.
    MLFLOW_ALLOW_FILE_STORE="true",
)
if importlib.util.find_spec(what) is None:
    sys.exit(77)

if what == "tensorboard":
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for place, _, files in os.walk(os.path.join(folder, "cache/metrics/tensorboard")):
        if any("tfevents" in name for name in files):
            events = EventAccumulator(place)
            events.Reload()
            found[os.path.basename(place)] = {
                tag: [[event.step, event.value] for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]
            }
elif what == "mlflow":
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri="file://" + os.path.join(folder, "cache/metrics/mlruns"))
    found = {}
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            history = {
                key: [[point.step, point.value] for point in client.get_metric_history(run.info.run_id, key)]
                for key in run.data.metrics
            }
            found[run.info.run_name] = {"experiment": experiment.name, "status": run.info.status, "metrics": history}
else:
    from datasets import get_dataset_config_names, load_dataset

    texts = os.path.join(folder, sys.argv[3])
    found = {}
    for name in get_dataset_config_names(texts):
        rows = load_dataset(texts, name, split="train")
        found[name] = {"columns": rows.column_names, "rows": rows.num_rows, "first": rows[0]}
print(json.dumps(found))
