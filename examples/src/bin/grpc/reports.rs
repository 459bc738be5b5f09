//! `reports.v1.Reports`, written by hand, so that nobody needs `protoc` to build the examples. What tonic's generator makes of
//! this file is used in the same way:
//!
//! ```proto
//! syntax = "proto3";
//! package reports.v1;
//! service Reports {
//!   rpc Read(ReportName) returns (Report);
//!   rpc Publish(ReportName) returns (Report);
//!   rpc Watch(ReportName) returns (stream Report);
//! }
//! message ReportName { string name = 1; }
//! message Report { string name = 1; string told_to = 2; uint32 revision = 3; }
//! ```

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use keyward::{Pass, Principal};
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ReportName {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Report {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) told_to: String,
    #[prost(uint32, tag = "3")]
    pub(crate) revision: u32,
}

/// Who calls. The layer has decided: handlers only read it. The types of the extensions are the same in interceptors.
fn caller<T>(request: &Request<T>) -> Result<&Principal, Status> {
    let pass = request.extensions().get::<Pass>().ok_or_else(|| Status::internal("no guard is around this service"))?;
    pass.principal().ok_or_else(|| {
        // Nobody, which a policy with open paths or optional routes lets through: its own words for that.
        let denial = pass.demand("/reports.v1.Reports").into_grpc_response();
        Status::from_header_map(denial.headers()).unwrap_or_else(|| Status::unauthenticated(""))
    })
}

async fn report(request: Request<ReportName>) -> Result<Response<Report>, Status> {
    let told_to = caller(&request)?.name().to_owned();
    Ok(Response::new(Report { name: request.into_inner().name, told_to, revision: 1 }))
}

async fn watch(request: Request<ReportName>) -> Result<Response<impl Stream<Item = Result<Report, Status>>>, Status> {
    let told_to = caller(&request)?.name().to_owned();
    let name = request.into_inner().name;
    let revisions = (1..=3).map(move |revision| Ok(Report { name: name.clone(), told_to: told_to.clone(), revision }));
    Ok(Response::new(tokio_stream::iter(revisions)))
}

/// The service.
#[derive(Clone, Copy)]
pub(crate) struct Reports;

impl NamedService for Reports {
    const NAME: &'static str = "reports.v1.Reports";
}

impl Service<http::Request<Body>> for Reports {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::default());
            Ok(match request.uri().path() {
                "/reports.v1.Reports/Read" | "/reports.v1.Reports/Publish" => grpc.unary(service_fn(report), request).await,
                "/reports.v1.Reports/Watch" => grpc.server_streaming(service_fn(watch), request).await,
                _ => Status::unimplemented("there is no such method").into_http(),
            })
        })
    }
}
