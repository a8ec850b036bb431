"""What a client of a live query does with the messages it gets."""


def applied(state, messages):
    """Return ``state``, the items a client holds, after ``messages``, taken one by one."""
    state = list(state)
    for message in messages:
        name, item = message["primary_key"], message["item"]
        if message["msg"] in {"changed", "removed"}:
            state = [each for each in state if each[name] != item[name]]
        if message["msg"] in {"changed", "added"}:
            state.insert(message["order"], item)
    return state
