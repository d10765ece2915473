// oidc-provider (https://github.com/panva/node-oidc-provider) with everything on that the tests use. It says where it is
// in one line of JSON, and ends with its standard input.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createSecureServer } from 'node:http2';
import { parseArgs } from 'node:util';
import Provider, { errors } from 'oidc-provider';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    path: { type: 'string', default: '' },
    certificate: { type: 'string' },
    key: { type: 'string' },
  },
});
const json = (file) => JSON.parse(readFileSync(file));
const { name, version } = json(new URL('node_modules/oidc-provider/package.json', import.meta.url));

const configuration = {
  clients: json('../clients.json').map((client) => ({
    ...client,
    // Native applications may return to any port of a loopback address.
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1:8917/callback'],
    grant_types: [
      'authorization_code',
      'refresh_token',
      'urn:ietf:params:oauth:grant-type:device_code',
      ...(client.client_secret ? ['client_credentials'] : []),
    ],
  })),
  scopes: ['openid', 'offline_access', 'photos', 'profile'],
  pkce: { required: () => true },
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
  // Otherwise a token is good for 15 seconds longer than it says.
  clockTolerance: 0,
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      getResourceServerInfo: (_, resource) => {
        if (resource !== 'urn:example:photos') throw new errors.InvalidTarget();
        return { scope: 'photos profile', accessTokenFormat: 'opaque' };
      },
    },
  },
  ttl: {
    AccessToken: (_, __, client) => (client.clientId === 'brief' ? 4 : 3600),
    AuthorizationCode: 60,
    DeviceCode: 600,
    Grant: 86_400,
    IdToken: 3600,
    Interaction: 600,
    RefreshToken: 86_400,
    Session: 86_400,
  },
  cookies: { keys: ['not a secret: these are tests'] },
};

// The issuer has the port in it, so the server listens before there is a provider.
let answer;
const listener = (request, response) => answer(request, response);
const server = options.certificate
  ? createSecureServer(
      { cert: readFileSync(options.certificate), key: readFileSync(options.key), allowHTTP1: true },
      listener,
    )
  : createServer(listener);

// Five seconds, as node has it, is the time between two polls of a device: the connection would end under the second.
server.keepAliveTimeout = 60_000;
server.listen(Number(options.port), '127.0.0.1', () => {
  const origin = `http${options.certificate ? 's' : ''}://127.0.0.1:${server.address().port}`;
  const issuer = origin + options.path;
  const provider = new Provider(issuer, configuration);
  const handle = provider.callback();
  answer = (request, response) => {
    if (!request.url.startsWith(`${options.path}/`)) return response.writeHead(404).end();
    request.originalUrl = request.url;
    request.baseUrl = options.path;
    request.url = request.url.slice(options.path.length);
    return handle(request, response);
  };
  console.log(JSON.stringify({ name, version, issuer, resource: `${issuer}/me` }));
});

process.stdin.on('end', () => process.exit()).resume();
