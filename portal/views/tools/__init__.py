"""The toolbox (portal.md, page 4): what partners check before they ask us. Nothing that is put in is stored or logged."""
