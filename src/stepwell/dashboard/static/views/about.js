// Which release this is, what it is made of, who looks and what he may do; and what this browser remembers: keys and theme.
import { BASE } from "../base.js";
import { html, useId } from "../dom.js";
import { useRead } from "../api.js";
import { bytes, exact, visible } from "../format.js";
import { KeyList } from "../keys.js";
import { session } from "../session.js";
import { useValue } from "../store.js";
import { setTheme, themeNow } from "../theming.js";
import { Loaded, Time, useTitle } from "../ui.js";
import { KINDS } from "./hosts.js";

// What others have written and the page brings along. Each has its licence beside the page's own files.
const LIBRARIES = [["Preact", "11.2.0", "MIT", "LICENSE-preact.txt"], ["htm", "3.1.1", "Apache-2.0", "LICENSE-htm.txt"]];
const THEME_WORDS = { system: "as the system has it", light: "light", dark: "dark" };
const fileUrl = (name) => new URL(name, document.querySelector("link[rel=icon]").href).href;
const Facts = ({ children }) => html`<dl class="facts">${children}</dl>`;
const Fact = ({ name, children }) => html`<div><dt>${name}</dt><dd>${children}</dd></div>`;
const Outside = ({ href, children }) => html`<a href=${href} target="_blank" rel="noopener">${children}</a>`;

export function About() {
  useTitle("About");
  const caller = useRead("/stepwell/whoami");
  const standing = useRead("/stepwell/hosts");
  return html`<div class="settings"><h1>About</h1>
    <${Loaded} read=${caller} rows=${2}>${(found) => html`<${Caller} ...${found} />`}<//>
    <h2>Store</h2><${Loaded} read=${standing} rows=${1}>${({ database }) => html`<${Facts}><${Fact} name="kind">${KINDS[database.kind] ?? visible(database.kind)} ${visible(database.version)}<//>${database.size !== null && html`<${Fact} name="size">${bytes(database.size)}<//>`}<${Fact} name="open by"><a href="/hosts">hosts</a><//><//>`}<//>
    <h2>API</h2><p><${Outside} href="/docs">Reference<//>, and the same as <${Outside} href="/openapi.json">OpenAPI 3.1<//>. It begins with <code class="mono">${location.origin}${BASE}/client/v4/accounts/${visible(session.now.account)}</code></p>
    <h2>Theme</h2><${ThemeChoice} />
    <h2>Keys</h2><${KeyList} />
    <h2>Licences</h2><p>Stepwell is free software under the Apache License 2.0. This page is made with:</p>
    <ul>${LIBRARIES.map(([name, release, licence, file]) => html`<li>${name} ${release}, <${Outside} href=${fileUrl(file)}>${licence}<//></li>`)}</ul></div>`;
}

function Caller({ account, token, permissions, version }) {
  return html`<${Facts}><${Fact} name="Stepwell">${visible(version)}<//><${Fact} name="account"><span class="mono">${visible(account)}</span><//>
      <${Fact} name="you may">${session.now.can_write ? "read and change all" : "read all, and change nothing"}<//>
      ${token && html`<${Fact} name="token">${visible(token.name) || "without a name"} <span class="mono muted">${visible(token.id)}</span><//>
        <${Fact} name="expires">${token.expires_on ? html`<${Time} at=${token.expires_on} /><small>${exact(token.expires_on)}</small>` : "never"}<//>
        <${Fact} name="permissions">${permissions.map(visible).join(", ")}<//>`}<//>
    ${!token && html`<p class="muted">This server asks for no token: whoever reaches it may do all.</p>`}`;
}

function ThemeChoice() {
  const theme = useValue(themeNow);
  const group = useId();
  return html`<fieldset class="choices"><legend class="hidden">Theme</legend>${Object.entries(THEME_WORDS).map(([name, words]) => html`<label><input type="radio" name=${group} checked=${theme === name} onChange=${() => setTheme(name)} /> ${words}</label>`)}</fieldset>`;
}
