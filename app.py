"""Entry script: ``streamlit run app.py``.

Streamlit finds the ``st.App`` below and serves it with our headers and cookie routes; each browser session
then runs this file as a script. Where a host runs it only as a script, the pages work the same and the
session cookie is set by a component instead.
"""

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

if get_script_run_ctx(suppress_warning=True) is not None:
    from pages._ui import layout

    layout.run()
else:
    from pages._ui import errors, server

    server.prepare()
    app = st.App(
        __file__,
        routes=server.routes(),
        middleware=server.middleware(),
        lifespan=server.lifespan,
        on_script_error=errors.report,
    )
