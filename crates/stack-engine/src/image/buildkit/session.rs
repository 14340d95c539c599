//! What a build may ask of us while it runs: files, credentials, secrets, agents.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;

use bollard::health::health_check_response::ServingStatus;
use bollard::health::health_server::{Health, HealthServer};
use bollard::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};
use bollard::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard::moby::filesync::v1::auth_server::{Auth, AuthServer};
use bollard::moby::filesync::v1::file_sync_server::FileSyncServer;
use bollard::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse,
};
use bollard::moby::sshforward::v1::ssh_server::SshServer;
use futures_util::{Stream, stream};
use stack_file::model::Content;
use tokio::task::JoinHandle;
use tonic::{Request, Response, Status};

use super::files::Folders;
use super::ssh::Agents;
use crate::docker::connect::Connection;
use crate::docker::upgrade::{Upgraded, upgrade};
use crate::image::credentials;

/// What is offered, as the engine wants it announced.
const METHODS: [&str; 6] = [
    "/grpc.health.v1.Health/Check",
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
    "/moby.sshforward.v1.SSH/CheckAgent",
    "/moby.sshforward.v1.SSH/ForwardAgent",
];

/// A session that is open as long as this lives.
pub(super) struct Session {
    pub(super) id: String,
    task: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Session {
    /// Opens a session. What the engine has kept of the folders is found again under `key`.
    ///
    /// # Errors
    /// When the engine cannot be reached or does not agree.
    pub(super) async fn open(
        connection: &Connection,
        key: &str,
        folders: Folders,
        secrets: BTreeMap<String, Content>,
        agents: Agents,
    ) -> io::Result<Self> {
        let (major, minor) = connection.api_version;
        let id = uuid::Uuid::new_v4().simple().to_string();
        let mut headers = vec![
            ("X-Docker-Expose-Session-Uuid".to_owned(), id.clone()),
            ("X-Docker-Expose-Session-Name".to_owned(), "stackctl".to_owned()),
            ("X-Docker-Expose-Session-Sharedkey".to_owned(), key.to_owned()),
        ];
        let method = "X-Docker-Expose-Session-Grpc-Method";
        headers.extend(METHODS.iter().map(|name| (method.to_owned(), (*name).to_owned())));
        let wire = upgrade(&connection.wire, &format!("/v{major}.{minor}/session"), &headers).await?;
        let router = tonic::transport::Server::builder()
            .add_service(HealthServer::new(Alive))
            .add_service(AuthServer::new(Credentials))
            .add_service(FileSyncServer::new(folders))
            .add_service(SecretsServer::new(Held(secrets)))
            .add_service(SshServer::new(agents));
        let incoming = stream::once(async move { Ok::<Upgraded, io::Error>(wire) });
        let task = tokio::spawn(async move {
            // How it ends is of no interest: the build tells what failed.
            let _: Result<(), tonic::transport::Error> = router.serve_with_incoming(incoming).await;
        });
        Ok(Self { id, task })
    }
}

/// Says that we are there.
struct Alive;

#[tonic::async_trait]
impl Health for Alive {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("only the whole is asked for"))
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("only the whole is asked for"))
    }
}

/// The credentials of docker's configuration.
struct Credentials;

#[tonic::async_trait]
impl Auth for Credentials {
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        let host = request.into_inner().host;
        let registry = match host.as_str() {
            "registry-1.docker.io" | "docker.io" | "index.docker.io" => credentials::HUB,
            other => other,
        };
        let found = credentials::of(registry).await.unwrap_or_default();
        Ok(Response::new(match found.identitytoken {
            Some(secret) => CredentialsResponse { secret, ..CredentialsResponse::default() },
            None => CredentialsResponse {
                username: found.username.unwrap_or_default(),
                secret: found.password.unwrap_or_default(),
            },
        }))
    }

    async fn fetch_token(
        &self,
        _: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("the engine fetches tokens with the credentials"))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("the engine fetches tokens with the credentials"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("the engine fetches tokens with the credentials"))
    }
}

/// The secrets of the build.
struct Held(BTreeMap<String, Content>);

#[tonic::async_trait]
impl Secrets for Held {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = request.into_inner().id;
        match self.0.get(&id) {
            Some(content) => Ok(Response::new(GetSecretResponse { data: content.bytes().to_vec() })),
            None => Err(Status::not_found(format!("secret {id} not found"))),
        }
    }
}
