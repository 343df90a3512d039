"""The story that `mediabucket demo` tells: everything a chat app does with media, checked over HTTP."""
