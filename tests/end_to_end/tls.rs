//! TLS on the port: REST, events and gRPC through it, certificates that cannot be used.

use std::process::Command;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use pilothouse_proto::federation::federation_service_client::FederationServiceClient;
use pilothouse_tests::{Server, binary};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_stream::StreamExt as _;
use tonic::transport::Endpoint;

use crate::raw::{HEALTHY, say};

/// A server with a certificate for `localhost` and `127.0.0.1`, and the folder that has `cert.pem` and `key.pem`.
fn encrypted() -> (Server, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let certificate =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("cert.pem"), certificate.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
    let config = format!(
        "[server.tls]\ncert-file = \"{}\"\nkey-file = \"{}\"\n",
        path("cert.pem").display(),
        path("key.pem").display()
    );
    (Server::start_with(&config).unwrap(), dir)
}

/// An encrypted connection that speaks one protocol.
async fn connect(address: String, dir: &TempDir, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.path().join("cert.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

const CLUSTER: &str = "POST /api/v1/clusters HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 39\r\n\r\n\
    {\"id\": \"c-1\", \"endpoint\": \"10.0.0.1:1\"}";

/// Registers a cluster, so that there is an event.
async fn register(server: &Server, dir: &TempDir) {
    let mut stream = connect(server.address.clone(), dir, "http/1.1").await.unwrap();
    stream.write_all(CLUSTER.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn events_are_followed_through_tls() {
    let (server, dir) = encrypted();
    let mut events = connect(server.address.clone(), &dir, "http/1.1").await.unwrap();
    events.write_all(b"GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    for wanted in ["text/event-stream", "member.registered"] {
        while !String::from_utf8_lossy(&said).contains(wanted) {
            assert!(events.read_buf(&mut said).await.unwrap() > 0, "closed before {wanted}");
        }
        if wanted == "text/event-stream" {
            register(&server, &dir).await;
        }
    }
}

#[tokio::test]
async fn grpc_calls_and_streams_go_through_tls() {
    let (server, dir) = encrypted();
    let dir = Arc::new(dir);
    let connector = {
        let (address, dir) = (server.address.clone(), Arc::clone(&dir));
        tower::service_fn(move |_| {
            let (address, dir) = (address.clone(), Arc::clone(&dir));
            async move { connect(address, &dir, "h2").await.map(TokioIo::new) }
        })
    };
    let channel = Endpoint::from_static("http://localhost").connect_with_connector(connector).await.unwrap();
    let mut client = FederationServiceClient::new(channel);
    let (_keep_open, outgoing) = tokio::sync::mpsc::channel(1);
    let outgoing = tokio_stream::wrappers::ReceiverStream::new(outgoing);
    let mut events = client.stream_events(outgoing).await.unwrap().into_inner();
    register(&server, &dir).await;
    assert_eq!(events.next().await.unwrap().unwrap().r#type, "member.registered");
    let list = client.list_clusters(tonic::Request::new(Default::default())).await.unwrap().into_inner();
    assert_eq!(list.clusters.len(), 1);
}

#[test]
fn with_tls_only_tls_is_served_and_the_name_is_checked() {
    let (server, dir) = encrypted();
    let status = |host: &str, ca: &[&str]| {
        let port = server.address.rsplit_once(':').unwrap().1;
        let url = format!("https://{host}:{port}");
        let mut command = Command::new(binary().unwrap());
        let done = command.args(["--server", &url]).args(ca).arg("status").output().unwrap();
        (done.status.code().unwrap(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let ca = dir.path().join("cert.pem").display().to_string();
    assert_eq!(status("127.0.0.1", &["--ca-file", &ca]).0, 0);
    assert_eq!(status("localhost", &["--ca-file", &ca]).0, 0);
    assert_eq!(status("127.0.0.2", &["--ca-file", &ca]).0, 3, "another name than the certificate's");
    let (code, stderr) = status("127.0.0.1", &[]);
    assert!(code == 3 && stderr.to_lowercase().contains("cert"), "not a public certificate: {stderr}");
    assert!(!say(&server, HEALTHY).contains("200"), "plain HTTP is not served");
    assert_eq!(status("127.0.0.1", &["--ca-file", &ca]).0, 0, "and did no harm");
}

#[test]
fn a_certificate_that_cannot_be_used_stops_the_start_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let [one, other] =
        [(); 2].map(|()| rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap());
    std::fs::write(path("cert.pem"), one.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), one.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("other.pem"), other.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("text.pem"), "hello").unwrap();
    for (cert, key, wanted) in [
        ("missing.pem", "key.pem", "missing.pem"),
        ("text.pem", "key.pem", "text.pem"),
        ("cert.pem", "text.pem", "text.pem"),
        ("cert.pem", "other.pem", "cert.pem and the private key in"),
        ("cert.pem", "other.pem", "other.pem do not go together"),
    ] {
        let config = format!("[server.tls]\ncert-file = \"{}\"\nkey-file = \"{}\"\n", path(cert), path(key));
        let error = Server::start_with(&config).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{cert}, {key}: {error}");
    }
}
