// Sign in with a token. It goes to the server once; what comes back is a session, in a cookie that no script can read.
import { html, useState } from "../dom.js";
import { post } from "../api.js";
import { go } from "../router.js";
import { beginSession } from "../session.js";
import { Button, ErrorBox, useAction, useTitle } from "../ui.js";

export function Login({ back }) {
  useTitle("Sign in");
  const [token, setToken] = useState("");
  const { run, busy, error } = useAction(
    () => post("/ui/session", { body: { token } }),
    ({ result }) => (go(back, { replace: true }), beginSession(result)),
  );
  const submit = (event) => {
    event.preventDefault();
    run();
  };
  return html`<main class="login"><h1>Sign in to Stepwell</h1>
    <form onSubmit=${submit}>
      <label for="token">API token</label>
      <input id="token" type="password" autocomplete="current-password" spellcheck=${false} required autofocus value=${token} onInput=${(event) => setToken(event.target.value)} />
      ${error && html`<${ErrorBox} error=${error} />`}
      <${Button} kind="primary" type="submit" busy=${busy} disabled=${!token.trim()}>Sign in<//>
    </form>
    <p class="muted">Make one where the server runs: <code>stepwell token create --scope read</code>, or <code>write</code> to change something too.
    The browser does not keep it: it gets a session, which ends when you sign out, and by itself.</p></main>`;
}
