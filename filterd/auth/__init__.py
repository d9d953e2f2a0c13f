"""Authentication: who vouches for a mail. One module for each standard; all pure, asking nobody.

`questions(mail)` says what must be asked, `authenticate(mail, facts)` evaluates the answers,
`authentication_results(auth, id)` writes them down, `claims_us(value, id)` knows forged ones.
"""

from filterd.auth.authenticate import authenticate
from filterd.auth.questions import questions
from filterd.auth.results import authentication_results, claims_us

__all__ = ["authenticate", "authentication_results", "claims_us", "questions"]
