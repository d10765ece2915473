//! A whole login in memory: begin, callback, token request, token response. Both sides do the same job: a confidential
//! client by HTTP Basic, three scopes, PKCE S256, entropy from the system, an answer of 2.4 kB with an ID token.

use std::hint::black_box;
use std::time::SystemTime;

use criterion::{Criterion, criterion_group, criterion_main};
use getrandom::SysRng;
use http::Response;
use oauth2::basic::BasicClient;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, PkceCodeChallenge, RedirectUrl, Scope,
    TokenResponse, TokenUrl,
};
use proofkey_core::{Authentication, Callback, Client, Exchange, Server, Step};
use rand_core::UnwrapErr;
use url::Url;

const AUTHORIZE: &str = "https://as.example.com/authorize";
const TOKEN: &str = "https://as.example.com/token";
const REDIRECT_URI: &str = "https://client.example.com/cb";
const SCOPES: [&str; 3] = ["openid", "profile", "photos"];

fn answer() -> Vec<u8> {
    let jwt = format!("{}.{}.{}", "h".repeat(100), "p".repeat(700), "s".repeat(86));
    format!(
        r#"{{"access_token":"{jwt}","token_type":"Bearer","expires_in":3600,"refresh_token":"{}","scope":"openid profile photos","id_token":"{jwt}{}"}}"#,
        "r".repeat(64),
        "i".repeat(400)
    )
    .into_bytes()
}

fn proofkey(client: &Client, body: &[u8]) {
    let now = SystemTime::now().into();
    let mut rng = UnwrapErr(SysRng);
    let (url, pending) = client.authorize().scope(SCOPES).redirect(now, &mut rng).expect("a login");
    black_box(&url);
    let callback = Callback::parse(&format!("code=SplxlOBeZQQYbYS6WxSbIA&state={}", pending.state())).expect("parses");
    let mut exchange = client.exchange(pending.accept(callback).expect("is ours"));
    black_box(exchange.next_request(now, &mut rng).expect("a request"));
    let Ok(Step::Done(tokens)) = exchange.handle_response(Response::new(body.to_vec())) else { panic!("no tokens") };
    black_box(tokens.access_token().expose());
}

type Rival = BasicClient<
    oauth2::EndpointSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointSet,
>;

fn oauth2(client: &Rival, body: &[u8]) {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state) = client
        .authorize_url(CsrfToken::new_random)
        .add_scopes(SCOPES.map(|scope| Scope::new(scope.to_owned())))
        .set_pkce_challenge(challenge)
        .url();
    black_box(&url);
    let returned = format!("{REDIRECT_URI}?code=SplxlOBeZQQYbYS6WxSbIA&state={}", state.secret());
    let returned = Url::parse(&returned).expect("parses");
    let find = |name: &str| returned.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned());
    assert_eq!(find("state").as_deref(), Some(state.secret().as_str()));
    let tokens = client
        .exchange_code(AuthorizationCode::new(find("code").expect("a code")))
        .set_pkce_verifier(verifier)
        .request(&|request: HttpRequest| {
            black_box(request);
            Ok::<_, std::convert::Infallible>(Response::new(body.to_vec()))
        });
    black_box(tokens.expect("tokens").access_token().secret());
}

fn login(criterion: &mut Criterion) {
    let body = answer();
    let ours = Client::builder(Server::new(AUTHORIZE, TOKEN), "s6BhdRkqt3")
        .redirect_uri(REDIRECT_URI)
        .authentication(Authentication::basic("7Fjfp0ZBr1KtDRbnfVdmIw"))
        .build()
        .expect("a client");
    let theirs = BasicClient::new(ClientId::new("s6BhdRkqt3".to_owned()))
        .set_client_secret(ClientSecret::new("7Fjfp0ZBr1KtDRbnfVdmIw".to_owned()))
        .set_auth_uri(AuthUrl::new(AUTHORIZE.to_owned()).expect("a URL"))
        .set_token_uri(TokenUrl::new(TOKEN.to_owned()).expect("a URL"))
        .set_redirect_uri(RedirectUrl::new(REDIRECT_URI.to_owned()).expect("a URL"));
    let mut group = criterion.benchmark_group("login");
    group.bench_function("proofkey", |bencher| bencher.iter(|| proofkey(&ours, &body)));
    group.bench_function("oauth2", |bencher| bencher.iter(|| oauth2(&theirs, &body)));
    group.finish();
}

criterion_group!(benches, login);
criterion_main!(benches);
