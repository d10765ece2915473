//! The least that logs in with `oauth2` and `ureq`.

use oauth2::basic::BasicClient;
use oauth2::url::Url;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope, TokenResponse, TokenUrl,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let http = oauth2::ureq::AgentBuilder::new().redirects(0).build();
    let client = BasicClient::new(ClientId::new("s6BhdRkqt3".to_owned()))
        .set_auth_uri(AuthUrl::new("https://as.example.com/authorize".to_owned())?)
        .set_token_uri(TokenUrl::new("https://as.example.com/token".to_owned())?)
        .set_redirect_uri(RedirectUrl::new("http://127.0.0.1:8917/cb".to_owned())?);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state) = client
        .authorize_url(CsrfToken::new_random)
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
