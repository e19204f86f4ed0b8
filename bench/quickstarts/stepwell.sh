python3 -m venv .venv
. .venv/bin/activate
pip install stepwell
stepwell init hello
cd hello
stepwell dev &
ready 8787
stepwell trigger greeting '{"name": "Ann"}' --id first --wait
