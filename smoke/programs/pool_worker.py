"""A worker of the pool protocol that shares no code with ours.

Usage: pool_worker.py SOCKET [SWITCH]...

  --version=V          what the handshake reports [1]
  --say-more           report more than the version
  --refuse-handshake   answer every handshake with ok:false
  --name=NAME          the name it gives its session [its own process id in hexadecimal, with colons]
  --nameless           give the session no name
  --answer-for=NAME    answer `continue` for another session
  --one-at-a-time      serve a client to its end before the next one is accepted
  --leave-with-client  exit when the first client leaves and no session waits for an answer
  --die-in-run         exit in the middle of `run`
  --hang-in-run        never answer `run`
  --refuse-run=WHY     answer `run` with ok:false
  --wait-in-run=DIR    touch DIR/run-received in `run`, and go on once DIR/go-on is there
  --silent             answer nothing at all
  --count-in=FILE      write a line for each connection
  --hold-claim         take the claim of its session in `run`
  --silent-until=FILE  answer nothing before FILE is there; each request until then is a line in FILE.asked
  --slam=N             close the first N connections at once
  --drip=OP:FILE       once FILE is there, answer OP with a blank now and then, for ever; may be given for several
  --refuse-others=WHY  answer a handshake in another version than V with ok:false

Its sessions: `run` of `done` finishes with the ctx, of `echo` with the whole request, of `fail` fails with
it, of `odd` answers with an unknown shape, of
anything else asks that; `continue` finishes with the response. With `a|b` it asks two queries at once.
"""
import fcntl, json, os, socket, sys, threading, time

path = sys.argv[1]
options = dict((arg.lstrip("-").split("=", 1) + [True])[:2] for arg in sys.argv[2:])
own_name = options.get("name") or ":".join("%02x" % byte for byte in os.getpid().to_bytes(4, "big"))
lock = threading.Lock()
state = {"open": [], "answers": {}, "history": []}


def finished(how):
    return {"Finished": {"state": how, "metrics": {"llm_calls": len(state["history"])}}}


def feed(result, name=own_name):
    data = {"kind": "feed", "session_id": name, "feed_result": result}
    if "nameless" in options:
        del data["session_id"]
    return {"ok": True, "data": data}


def run(request):
    if "die-in-run" in options:
        os._exit(7)
    if "hang-in-run" in options:
        time.sleep(1 << 20)
    if "refuse-run" in options:
        return {"ok": False, "error": options["refuse-run"]}
    if "wait-in-run" in options:
        open(os.path.join(options["wait-in-run"], "run-received"), "w").close()
        while not os.path.exists(os.path.join(options["wait-in-run"], "go-on")):
            time.sleep(0.003)
    if "hold-claim" in options:
        state["claim"] = os.open(os.path.dirname(path), os.O_RDONLY)
        fcntl.flock(state["claim"], fcntl.LOCK_EX)
    code, ctx = request["code"], request.get("ctx")
    if code == "echo":
        return feed(finished({"Completed": {"result": request}}))
    if code == "done":
        return feed(finished({"Completed": {"result": ctx}}))
    if code == "fail":
        return feed(finished({"Failed": {"error": ctx}}))
    if code == "odd":
        return feed({"Sleeping": {"since": 1}})
    prompts = code.split("|")
    state["open"] = ["q-%d" % number for number in range(len(prompts))]
    state["answers"] = {}
    state["history"] += prompts
    queries = [{"id": id, "prompt": prompt} for id, prompt in zip(state["open"], prompts)]
    return feed({"Paused": {"queries": queries}})


def continue_session(request):
    if request["sid"] != own_name and "nameless" not in options:
        return {"ok": False, "error": "unknown session " + request["sid"]}
    if "answer-for" in options:
        return feed({"Accepted": {"remaining": 1}}, options["answer-for"])
    query = request.get("query_id") or (state["open"] + [None])[0]
    if query not in state["open"]:
        return {"ok": False, "error": "no such query"}
    state["open"].remove(query)
    state["answers"][query] = request["response"]
    state["history"].append(request["response"])
    if state["open"]:
        return feed({"Accepted": {"remaining": len(state["open"])}})
    answers = [state["answers"][query] for query in sorted(state["answers"])]
    return feed(finished({"Completed": {"result": answers[0] if len(answers) == 1 else answers}}))


def answer(request):
    op = request.get("op")
    if "silent" in options:
        time.sleep(1 << 20)
    if "silent-until" in options and not os.path.exists(options["silent-until"]):
        with open(options["silent-until"] + ".asked", "a") as asked:
            asked.write(op + "\n")
        while not os.path.exists(options["silent-until"]):
            time.sleep(0.005)
    if op == "handshake":
        if "refuse-handshake" in options:
            return {"ok": False, "error": "not with \x1b[31m" + request["version"]}
        if "refuse-others" in options and request["version"] != options.get("version", "1"):
            return {"ok": False, "error": options["refuse-others"]}
        data = {"kind": "handshake", "version": options.get("version", "1")}
        if "say-more" in options:
            data.update(build="deadbeef", pid=os.getpid(), features=["odd"])
        return {"ok": True, "data": data}
    with lock:
        if op == "run":
            return run(request)
        if op == "continue":
            return continue_session(request)
        if op == "status":
            data = {"kind": "status", "has_session": bool(state["open"]), "session_id": own_name}
            if request.get("include_history"):
                data["conversation_history"] = state["history"]
            return {"ok": True, "data": data}
    if op == "shutdown":
        return {"ok": True, "data": {"kind": "shutdown"}}
    return {"ok": False, "error": "unknown op"}


drips = dict(arg[len("--drip="):].split(":", 1) for arg in sys.argv[2:] if arg.startswith("--drip="))


def drip(op, lines):
    while op in drips and os.path.exists(drips[op]):
        lines.write(" ")
        lines.flush()
        time.sleep(0.02)


def serve(client):
    try:
        with client, client.makefile("rw", encoding="utf-8", newline="\n") as lines:
            for line in lines:
                drip(json.loads(line).get("op"), lines)
                said = answer(json.loads(line))
                lines.write(json.dumps(said) + "\n")
                lines.flush()
                if said.get("data", {}).get("kind") == "shutdown":
                    os.unlink(path)
                    os._exit(0)
    except (BrokenPipeError, ConnectionResetError):
        pass
    if "leave-with-client" in options and not state["open"]:
        os._exit(0)


listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(64)
slams = int(options.get("slam", 0))
while True:
    client, _ = listener.accept()
    if "count-in" in options:
        with open(options["count-in"], "a") as count:
            count.write("connected\n")
    if slams > 0:
        slams -= 1
        client.close()
        continue
    if "one-at-a-time" in options:
        serve(client)
    else:
        threading.Thread(target=serve, args=(client,), daemon=True).start()
