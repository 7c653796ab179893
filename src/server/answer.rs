//! An answer on its way: its request is under way until the last piece was taken, and is known to wait while a
//! piece is not. Large bodies go in pieces, so that what nobody reads stays with us and not in a queue below, where
//! no deadline could reach it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::activity::Activity;
use crate::response;

/// A piece of a body.
const PIECE: usize = 16 * 1024;

/// A request from its head to the end of its answer.
pub(super) struct UnderWay {
    activity: Arc<Activity>,
    number: u64,
    answered: bool,
}

impl UnderWay {
    /// A request has come.
    pub(super) fn new(activity: Arc<Activity>, multiplexed: bool) -> Self {
        let number = activity.begins(multiplexed);
        Self { activity, number, answered: false }
    }

    /// There is an answer to it.
    pub(super) fn answered(&mut self) {
        self.answered = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.activity.piece_waits(self.number, false);
        self.activity.ends(self.answered);
    }
}

/// The body of an answer.
pub(super) struct Answer {
    body: response::Body,
    request: UnderWay,
    rest: Bytes,
    waits: bool,
}

impl Answer {
    pub(super) fn new(body: response::Body, request: UnderWay) -> Self {
        Self { body, request, rest: Bytes::new(), waits: false }
    }

    fn waits(&mut self, waits: bool) {
        if self.waits != waits {
            self.waits = waits;
            self.request.activity.piece_waits(self.request.number, waits);
        }
    }

    fn piece(&mut self) -> Frame<Bytes> {
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Frame::data(piece)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = <response::Body as Body>::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let answer = self.get_mut();
        // Whoever asks for a piece has got rid of the last.
        answer.waits(false);
        if answer.rest.is_empty() {
            match Pin::new(&mut answer.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => answer.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return other,
            }
        }
        answer.waits(true);
        Poll::Ready(Some(Ok(answer.piece())))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (own, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(own.lower() + rest);
        if let Some(upper) = own.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_body_goes_in_pieces_and_waits_until_the_next_is_asked_for() {
        let activity = Arc::new(Activity::new());
        let whole = Bytes::from(vec![7; 2 * PIECE + 1]);
        let body = response::Body::Left(http_body_util::Full::new(whole.clone()));
        let mut answer = Answer::new(body, UnderWay::new(Arc::clone(&activity), false));
        let mut taken = Vec::new();
        assert_eq!(answer.size_hint().exact(), Some(whole.len() as u64));
        while let Some(Ok(frame)) = answer.frame().await {
            let data = frame.into_data().unwrap();
            assert!(data.len() <= PIECE);
            assert!(activity.has_waiting_pieces());
            taken.extend_from_slice(&data);
            assert_eq!(answer.size_hint().exact(), Some((whole.len() - taken.len()) as u64));
            assert_eq!(answer.is_end_stream(), taken.len() == whole.len());
        }
        assert!(taken == whole && !activity.has_waiting_pieces());
        drop(answer);
        assert!(activity.idleness().is_some());
    }
}
