mnn inspect --ops | grep -c "^Conv "
