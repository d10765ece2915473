// @node-oauth/oauth2-server (https://github.com/node-oauth/node-oauth2-server) over plain node: an authorization and a
// token endpoint and nothing else. What the library leaves to its user is here: the store, and a page to agree on. It
// says where it is in one line of JSON, and ends with its standard input.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { parseArgs } from 'node:util';
import OAuth2Server from '@node-oauth/oauth2-server';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    certificate: { type: 'string' },
    key: { type: 'string' },
  },
});
const json = (file) => JSON.parse(readFileSync(file));
const { name, version } = json(new URL('node_modules/@node-oauth/oauth2-server/package.json', import.meta.url));

const clients = json('../clients.json').map((client) => ({
  id: client.client_id,
  secret: client.client_secret,
  redirectUris: ['http://127.0.0.1:8917/callback'],
  grants: ['authorization_code', 'refresh_token', ...(client.client_secret ? ['client_credentials'] : [])],
  accessTokenLifetime: client.client_id === 'brief' ? 4 : 3600,
}));

const codes = new Map();
const accessTokens = new Map();
const refreshTokens = new Map();
const SCOPES = ['photos', 'profile'];

const model = {
  // The authorization endpoint looks a client up without a secret, the token endpoint with what the request has.
  getClient: async (id, secret) =>
    clients.find((client) => client.id === id && (secret === null || client.secret === (secret || undefined))),
  validateScope: async (_, __, scope = SCOPES) => scope.every((token) => SCOPES.includes(token)) && scope,
  saveAuthorizationCode: async (code, client, user) => {
    codes.set(code.authorizationCode, { ...code, client, user });
    return code;
  },
  getAuthorizationCode: async (code) => codes.get(code),
  revokeAuthorizationCode: async (code) => codes.delete(code.authorizationCode),
  saveToken: async (token, client, user) => {
    const saved = { ...token, client, user };
    accessTokens.set(saved.accessToken, saved);
    if (saved.refreshToken) refreshTokens.set(saved.refreshToken, saved);
    return saved;
  },
  getUserFromClient: async (client) => ({ id: client.id }),
  getAccessToken: async (token) => accessTokens.get(token),
  getRefreshToken: async (token) => refreshTokens.get(token),
  revokeToken: async (token) => refreshTokens.delete(token.refreshToken),
  verifyScope: async (token, scope) => scope.every((each) => token.scope?.includes(each)),
};

const oauth = new OAuth2Server({ model, requireClientAuthentication: { refresh_token: false } });

const page = (response, status, body) => {
  response.writeHead(status, { 'content-type': 'text/html' }).end(`<!doctype html>${body}`);
};
const escape = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

// Anybody may log in; the query goes with them, and what they decide.
const login = (url, response) => {
  const query = escape(url.search);
  page(
    response,
    200,
    `<form method="post" action="/authorize${query}"><input name="login"><button>Allow</button></form>
     <a href="/authorize/abort${query}">Deny</a>`,
  );
};

const serve = async (request, response) => {
  const url = new URL(request.url, origin);
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const form = new URLSearchParams(Buffer.concat(chunks).toString());
  const read = new OAuth2Server.Request({
    method: request.method,
    query: Object.fromEntries(url.searchParams),
    headers: request.headers,
    body: Object.fromEntries(form),
  });
  const written = new OAuth2Server.Response();
  const send = (body) => {
    response.writeHead(written.status, { ...written.headers, 'content-type': 'application/json' });
    response.end(JSON.stringify(body ?? written.body));
  };

  if (url.pathname === '/authorize' && request.method === 'GET') return login(url, response);
  if (url.pathname.startsWith('/authorize')) {
    if (url.pathname.endsWith('/abort')) read.query.allowed = 'false';
    const authenticateHandler = { handle: () => ({ id: form.get('login') || 'nobody' }) };
    try {
      await oauth.authorize(read, written, { authenticateHandler });
    } catch (error) {
      // Where it is not to be trusted with a redirect, the library has written none.
      if (!written.headers.location) return page(response, error.code, escape(error.message));
    }
    return response.writeHead(written.status, written.headers).end();
  }
  if (url.pathname === '/token') {
    await oauth.token(read, written).catch(() => {});
    return send();
  }
  if (url.pathname === '/me') {
    try {
      const token = await oauth.authenticate(read, written, { scope: ['photos'] });
      return send({ sub: token.user.id, client_id: token.client.id });
    } catch (error) {
      written.status = error.code;
      return send({ error: error.name, error_description: error.message });
    }
  }
  return page(response, 404, 'Nothing is here.');
};

let origin;
const listener = (request, response) => {
  serve(request, response).catch((error) => page(response, 500, escape(String(error))));
};
const server = options.certificate
  ? https.createServer({ cert: readFileSync(options.certificate), key: readFileSync(options.key) }, listener)
  : http.createServer(listener);
// Five seconds, as node has it, is the time between two polls of a device: the connection would end under the second.
server.keepAliveTimeout = 60_000;
server.listen(Number(options.port), '127.0.0.1', () => {
  origin = `http${options.certificate ? 's' : ''}://127.0.0.1:${server.address().port}`;
  const endpoints = { authorization_endpoint: `${origin}/authorize`, token_endpoint: `${origin}/token` };
  console.log(JSON.stringify({ name, version, issuer: origin, endpoints, resource: `${origin}/me` }));
});

process.stdin.on('end', () => process.exit()).resume();
