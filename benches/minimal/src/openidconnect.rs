//! The least that logs in with `openidconnect` and `ureq`.

use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreJsonWebKeySet};
use openidconnect::url::Url;
use openidconnect::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    RedirectUrl, Scope, TokenUrl,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let http = openidconnect::ureq::AgentBuilder::new().redirects(0).build();
    let issuer = IssuerUrl::new("https://as.example.com".to_owned())?;
    let keys = CoreJsonWebKeySet::new(Vec::new());
    let client = CoreClient::new(ClientId::new("s6BhdRkqt3".to_owned()), issuer, keys)
        .set_auth_uri(AuthUrl::new("https://as.example.com/authorize".to_owned())?)
        .set_token_uri(TokenUrl::new("https://as.example.com/token".to_owned())?)
        .set_redirect_uri(RedirectUrl::new("http://127.0.0.1:8917/cb".to_owned())?);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let flow = CoreAuthenticationFlow::AuthorizationCode;
    let (url, state, _nonce) = client
        .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
        .add_scope(Scope::new("photos".to_owned()))
        .set_pkce_challenge(challenge)
        .url();
    println!("{url}");
    let back = Url::parse(&std::io::stdin().lines().next().ok_or("no answer")??)?;
    let find = |name: &str| back.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned());
    if find("state").as_ref() != Some(state.secret()) {
        return Err("another login's".into());
    }
    let code = AuthorizationCode::new(find("code").ok_or("no code")?);
    let tokens = client.exchange_code(code).set_pkce_verifier(verifier).request(&http)?;
    println!("{}", tokens.access_token().secret());
    Ok(())
}
