//! How the parts of a stack are named: `web/2`, `network:front`, `image:shop-web`.

use std::fmt;
use std::str::FromStr;

/// The name of one resource within a project.
///
/// It prints, and is read, as `KIND:KEY`; a container as `SERVICE/NUMBER`,
/// and one of `run` as `SERVICE/run`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A network, by its key in the file.
    Network(String),
    /// A volume, by its key in the file.
    Volume(String),
    /// An image, by its reference.
    Image(String),
    /// A service of a swarm, or one that another program makes, by its name.
    Service(String),
    /// An AI model, by its key in the file.
    Model(String),
    /// A config of a swarm, by its key in the file.
    Config(String),
    /// A secret of a swarm, by its key in the file.
    Secret(String),
    /// One container of a service, by the service's name and its number, from 1; 0 is one of `run`.
    Container(String, u32),
}

impl Address {
    /// The service that the resource belongs to, if it is a container, or is.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        match self {
            Self::Container(service, _) | Self::Service(service) => Some(service),
            _ => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(key) => write!(f, "network:{key}"),
            Self::Volume(key) => write!(f, "volume:{key}"),
            Self::Image(reference) => write!(f, "image:{reference}"),
            Self::Service(name) => write!(f, "service:{name}"),
            Self::Model(key) => write!(f, "model:{key}"),
            Self::Config(key) => write!(f, "config:{key}"),
            Self::Secret(key) => write!(f, "secret:{key}"),
            Self::Container(service, 0) => write!(f, "{service}/run"),
            Self::Container(service, number) => write!(f, "{service}/{number}"),
        }
    }
}

/// A text that names no resource.
#[derive(Debug, PartialEq, Eq)]
pub struct AddressError(String);

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no address: write SERVICE/NUMBER, network:KEY, volume:KEY, image:REFERENCE, service:NAME, model:KEY, config:KEY or secret:KEY",
            self.0
        )
    }
}

impl std::error::Error for AddressError {}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.to_owned());
        let filled = |key: &str| if key.is_empty() { Err(wrong()) } else { Ok(key.to_owned()) };
        match text.split_once(':') {
            Some(("network", key)) => return filled(key).map(Self::Network),
            Some(("volume", key)) => return filled(key).map(Self::Volume),
            Some(("model", key)) => return filled(key).map(Self::Model),
            Some(("config", key)) => return filled(key).map(Self::Config),
            Some(("secret", key)) => return filled(key).map(Self::Secret),
            Some(("service", name)) => return filled(name).map(Self::Service),
            Some(("image", reference)) => return filled(reference).map(Self::Image),
            _ => {}
        }
        let (service, number) = text.rsplit_once('/').ok_or_else(wrong)?;
        let number = match number {
            "run" => 0,
            number => number.parse().ok().filter(|&number| number > 0).ok_or_else(wrong)?,
        };
        Ok(Self::Container(filled(service)?, number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_as_it_prints() {
        for address in [
            Address::Network("front".into()),
            Address::Volume("pg".into()),
            Address::Image("localhost:5000/shop:1.4".into()),
            Address::Service("cloud".into()),
            Address::Model("llm".into()),
            Address::Config("app".into()),
            Address::Secret("token".into()),
            Address::Container("web".into(), 2),
            Address::Container("web".into(), 0),
        ] {
            assert_eq!(address.to_string().parse(), Ok(address));
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in ["", "web", "web/", "/1", "web/0", "web/x", "network:", "volume:"] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
