//! What the layer knows of a request beside its head.

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{Empty, Full};
use keyward::{Guard, MemoryStore, Policy};
use tower::{ServiceBuilder, ServiceExt, service_fn};

async fn status<B: http_body::Body + Send + 'static>(body: B) -> u16 {
    let guard = Guard::builder(Policy::builder().build().unwrap()).store(MemoryStore::new()).build().unwrap();
    let inner = service_fn(|_: Request<B>| async { Ok::<_, std::convert::Infallible>(Response::new(Empty::<Bytes>::new())) });
    let request = Request::options("/x").version(Version::HTTP_2).header("origin", "https://a.example");
    let request = request.header("access-control-request-method", "POST").body(body).unwrap();
    ServiceBuilder::new().layer(keyward_tower::guard(guard)).service(inner).oneshot(request).await.unwrap().status().as_u16()
}

/// R1.4. HTTP/2 need not announce a body.
#[tokio::test]
async fn a_preflight_has_no_body_whether_it_is_announced_or_not() {
    assert_eq!(status(Empty::<Bytes>::new()).await, 200);
    assert_eq!(status(Full::new(Bytes::from_static(b"a body"))).await, 401);
}
