python3 -m venv .venv
. .venv/bin/activate
pip install dbos==3.4.0
cat > main.py <<'END'
from dbos import DBOS, DBOSConfig

config: DBOSConfig = {"name": "hello"}
DBOS(config=config)


@DBOS.step()
def compose(name: str) -> str:
    return f"Hello, {name}!"


@DBOS.step()
def say(text: str) -> str:
    return text


@DBOS.workflow()
def greeting(name: str) -> str:
    return say(compose(name))


if __name__ == "__main__":
    DBOS.launch()
    print(greeting("Ann"))
END
python3 main.py
