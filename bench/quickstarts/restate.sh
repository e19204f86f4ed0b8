python3 -m venv .venv
. .venv/bin/activate
pip install 'restate-sdk[serde]==1.3.0' hypercorn==0.18.0
npm install --no-audit --no-fund --loglevel error @restatedev/restate-server@1.7.12 @restatedev/restate@1.7.12
cat > app.py <<'END'
import asyncio

import hypercorn
import hypercorn.asyncio
import restate

greeter = restate.Service("Greeter")


@greeter.handler()
async def greet(ctx: restate.Context, name: str) -> str:
    text = await ctx.run_typed("compose", lambda: f"Hello, {name}!")
    return await ctx.run_typed("say", lambda: text)


app = restate.app([greeter])

if __name__ == "__main__":
    config = hypercorn.Config()
    config.bind = ["0.0.0.0:9080"]
    asyncio.run(hypercorn.asyncio.serve(app, config))
END
npx restate-server &
python3 app.py &
ready 9070
ready 9080
npx restate deployments register http://localhost:9080 --yes
curl localhost:8080/Greeter/greet --json '"Ann"'
