//! The least that logs in with `huskarl`, which is asynchronous only.

use huskarl::core::EndpointUrl;
use huskarl::core::client_auth::NoAuth;
use huskarl::grant::authorization_code::{AuthorizationCodeGrant, CompleteInput, StartInput};
use huskarl_reqwest::ReqwestClient;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(log_in())
}

async fn log_in() -> Result<(), Box<dyn std::error::Error>> {
    let grant = AuthorizationCodeGrant::builder()
        .client_id("s6BhdRkqt3")
        .http_client(ReqwestClient::builder().build().await?)
        .client_auth(NoAuth)
        .token_endpoint("https://as.example.com/token".parse::<EndpointUrl>()?)
        .authorization_endpoint("https://as.example.com/authorize".parse::<EndpointUrl>()?)
        .redirect_uri("http://127.0.0.1:8917/cb")
        .oidc(false)
        .build()
        .await?;
    let start = grant.start(StartInput::scope(vec!["photos".to_owned()])).await?;
    println!("{}", start.authorization_url);
    let back = std::io::stdin().lines().next().ok_or("no answer")??;
    let input = CompleteInput::builder_from_callback(&back)?.build();
    let complete = grant.complete(&start.pending_state, input).await?;
    println!("{}", complete.token_response.access_token().token().expose_secret());
    Ok(())
}
