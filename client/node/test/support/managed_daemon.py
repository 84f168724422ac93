"""A daemon with a service manager for tests in JavaScript: {"op": "start"} and so on a line, {"done": true} back."""

import json
import sys

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from service_manager import ServiceManager  # noqa: E402

with ServiceManager(sys.argv[2]) as manager:
    manager.start()
    print(json.dumps({"done": True, "socket": manager.socket}), flush=True)
    operations = {"start": manager.start, "stop": manager.stop, "kill": manager.kill, "empty": manager.empty_store}
    for line in sys.stdin:
        operations[json.loads(line)["op"]]()
        print(json.dumps({"done": True}), flush=True)
