use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::act::control::bind;
use crate::decide::observation::ProcessReport;
use crate::link::{ProbeVerdict, VERSION};

/// The time after which a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A served link, in a directory of its own.
struct Site {
    directory: PathBuf,
    words: watch::Sender<Option<Verdicts>>,
    events: mpsc::UnboundedReceiver<LinkEvent>,
    served: JoinHandle<()>,
}

impl Site {
    async fn new(name: &str) -> Self {
        let name = format!("ses-link-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&directory);
        let socket = bind(&directory.join("launch.sock")).await.unwrap();
        let (words, receiver) = watch::channel(None);
        let (tell, events) = mpsc::unbounded_channel();
        let tell = Arc::new(tell);
        let served = tokio::spawn(serve(socket, receiver, move |said| {
            let stop = matches!(&said, LinkEvent::Message(said) if matches!(**said, AgentMessage::StopRequested(_)));
            let _ = tell.send(said);
            async move { stop.then_some(SupervisorMessage::StopAccepted(Duration::from_secs(7))) }
        }));
        Self {
            directory,
            words,
            events,
            served,
        }
    }

    async fn stream(&self) -> UnixStream {
        UnixStream::connect(self.directory.join("launch.sock"))
            .await
            .unwrap()
    }

    async fn connect(&self) -> Connection {
        let mut connection = Connection::new(self.stream().await).unwrap();
        connection
            .send(&AgentMessage::Hello(Hello::own()))
            .await
            .unwrap();
        let first = next(&mut connection).await.unwrap();
        assert!(matches!(first, SupervisorMessage::Hello(_)), "{first:?}");
        connection
    }

    async fn event(&mut self) -> LinkEvent {
        let event = timeout(PATIENCE, self.events.recv()).await;
        event.expect("it comes in time").unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.served.abort();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn word(epoch: u64) -> Verdicts {
    let pass = ProbeVerdict {
        pass: true,
        reasons: Vec::new(),
    };
    Verdicts {
        gate: pass.clone(),
        live: pass,
        ready: None,
        epoch: Some(epoch),
        command: None,
        termination_message: None,
    }
}

/// Returns the next message that is no beat.
async fn next(connection: &mut Connection) -> Result<SupervisorMessage, LinkError> {
    let next = timeout(PATIENCE, async {
        loop {
            match connection.receive().await {
                Ok(SupervisorMessage::Beat) => {}
                other => return other,
            }
        }
    });
    next.await.expect("it comes in time")
}

#[tokio::test]
async fn each_hears_the_other() {
    let mut site = Site::new("hears").await;
    site.words.send_replace(Some(word(1)));
    let mut launch = site.connect().await;
    assert_eq!(site.event().await, LinkEvent::Linked(VERSION));
    let verdicts = |epoch| SupervisorMessage::Verdicts(Box::new(word(epoch)));
    assert_eq!(
        next(&mut launch).await.unwrap(),
        verdicts(1),
        "what was said before"
    );
    site.words.send_replace(Some(word(2)));
    assert_eq!(next(&mut launch).await.unwrap(), verdicts(2));
    let report = AgentMessage::Process(ProcessReport::NotFound);
    launch.send(&report).await.unwrap();
    assert_eq!(site.event().await, LinkEvent::Message(Box::new(report)));
    launch.send(&AgentMessage::StopRequested(15)).await.unwrap();
    let accepted = SupervisorMessage::StopAccepted(Duration::from_secs(7));
    assert_eq!(next(&mut launch).await.unwrap(), accepted);
    site.event().await;
    drop(launch);
    assert_eq!(site.event().await, LinkEvent::Lost);
}

#[tokio::test]
async fn a_newer_one_takes_the_place_of_the_one_before() {
    let mut site = Site::new("newer").await;
    let mut first = site.connect().await;
    assert_eq!(site.event().await, LinkEvent::Linked(VERSION));
    let mut second = site.connect().await;
    assert_eq!(
        site.event().await,
        LinkEvent::Linked(VERSION),
        "and not lost"
    );
    assert!(matches!(next(&mut first).await, Err(LinkError::Closed)));
    site.words.send_replace(Some(word(3)));
    assert!(matches!(
        next(&mut second).await,
        Ok(SupervisorMessage::Verdicts(_))
    ));
}

#[tokio::test]
async fn one_that_is_not_understood_is_refused_and_disturbs_nobody() {
    let mut site = Site::new("refused").await;
    let mut launch = site.connect().await;
    assert_eq!(site.event().await, LinkEvent::Linked(VERSION));
    let mut strange = Connection::new(site.stream().await).unwrap();
    let hello = Hello {
        version: VERSION + 2,
        ..Hello::own()
    };
    strange.send(&AgentMessage::Hello(hello)).await.unwrap();
    let answer = next(&mut strange).await.unwrap();
    assert!(
        matches!(answer, SupervisorMessage::Hello(_)),
        "the version is sent"
    );
    assert!(matches!(next(&mut strange).await, Err(LinkError::Closed)));
    let mut rude = Connection::new(site.stream().await).unwrap();
    rude.send(&AgentMessage::Beat).await.unwrap();
    assert!(matches!(next(&mut rude).await, Err(LinkError::Closed)));
    // Those that say nothing are as many as may be, and the next waits for one of them to be sent away.
    let mut silent = Vec::new();
    for _ in 0..MAX_GREETINGS {
        silent.push(site.stream().await);
    }
    let _late = site.connect().await;
    assert_eq!(site.event().await, LinkEvent::Linked(VERSION));
    assert!(matches!(next(&mut launch).await, Err(LinkError::Closed)));
}
